/** A process that asks for a secret at its terminal, and says what came of it. */
import { hash } from 'node:crypto'
import { promptSecret } from '../../packages/ferry/src/upload/prompt-secret.ts'

// What an interrupted question ends before its signal is there.
const waiting = setTimeout(() => {}, 10_000)
process.on('SIGINT', () => {
  console.log('SIGINT came')
  clearTimeout(waiting)
})
try {
  console.log(`typed ${hash('sha256', await promptSecret('API key: ', 'apiKey'))}`)
  clearTimeout(waiting)
} catch (error) {
  const { message } = error as Error
  console.log(message)
  if (!message.includes('interrupted')) clearTimeout(waiting)
}
