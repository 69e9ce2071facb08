/** Runs a command of `indexcp`; resolves with its exit code. */
import { openSqliteOutbox } from 'ferry/upload'
import { addToBuffer, clearBuffer, listBuffer } from './indexcp-buffer.ts'
import type { IndexcpAction } from './indexcp-options.ts'
import { OutboxConsole } from './outbox-console.ts'
import { describeOutboxFailure } from './outbox-failure.ts'
import { StopSignals } from './stop-signals.ts'

type BufferAction = Exclude<IndexcpAction, { type: 'server' }>

export async function runIndexcp(action: IndexcpAction): Promise<number> {
  const console = new OutboxConsole('indexcp', { json: action.json === true })
  using signals = new StopSignals()
  if ('apiKey' in action) {
    console.note('Others can see a key on the command line; set INDEXCP_API_KEY rather')
  }
  try {
    if (action.type !== 'server') return await runOnBuffer(action, console, signals)
    const { runIndexcpServer } = await import('./indexcp-server.ts')
    return await runIndexcpServer(action, { console, signal: signals.signal })
  } catch (error) {
    const failure = describeOutboxFailure(error as Error, `indexcp ${action.type}`)
    console.failed(failure)
    return failure.exitCode
  }
}

async function runOnBuffer(
  action: BufferAction,
  console: OutboxConsole,
  { signal, interrupt }: StopSignals,
): Promise<number> {
  await using outbox = await openSqliteOutbox()
  const context = { outbox, console, signal, interrupt: () => interrupt('SIGINT') }
  switch (action.type) {
    case 'add':
      return await addToBuffer(action.files, context)
    case 'list':
      return await listBuffer(context)
    case 'clear':
      return await clearBuffer(action, context)
    case 'upload': {
      const { uploadBuffer } = await import('./indexcp-upload.ts')
      return await uploadBuffer(action, context)
    }
    case 'buffer-and-upload': {
      const { bufferAndUpload } = await import('./indexcp-upload.ts')
      return await bufferAndUpload(action, context)
    }
  }
}
