/** How long the command takes to start, compared with an empty program in the same round. */
import { formatSpread, formatTable, pairwiseRatio } from './statistics.ts'
import { type BenchOptions, type Command, FERRY, measure, NODE, progress } from './support.ts'

const ROUNDS = 40
const QUICK_ROUNDS = 10
const BASE = 'node -e 0'

const COMMANDS: Readonly<Record<string, Command>> = {
  [BASE]: [NODE, '-e', '0'],
  'ferry --version': [...FERRY, '--version'],
  'ferry get --help': [...FERRY, 'get', '--help'],
}

/** Measures starting; resolves with a table. */
export async function benchStart({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const results = new Map<string, number[]>(Object.keys(COMMANDS).map((name) => [name, []]))
  progress(`start: ${rounds} rounds`)
  for (let round = 0; round <= rounds; round++) {
    for (const [name, command] of Object.entries(COMMANDS)) {
      const { wallMs } = await measure(command)
      if (round > 0) results.get(name)?.push(wallMs)
    }
  }
  const base = results.get(BASE) ?? []
  const rows = [...results].map(([name, wall]) => [
    name,
    formatSpread(wall, 1),
    pairwiseRatio(wall, base).toFixed(2),
  ])
  return formatTable(
    `Start of the command, ${rounds} rounds`,
    ['command', 'wall ms, min / median / max', `× ${BASE}`],
    rows,
  )
}
