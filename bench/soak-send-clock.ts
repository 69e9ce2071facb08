/** Makes the clock of a sender wrong, before anything else is loaded; its first argument is its plan. */
import type { SenderPlan } from './soak-send-plan.ts'

const JUMP_EVERY_MS = 100

const { skewsMs } = JSON.parse(process.argv[2] ?? '{}') as SenderPlan
const readClock = Date.now

Date.now = (): number => {
  const at = readClock()
  return at + (skewsMs[Math.floor(at / JUMP_EVERY_MS) % skewsMs.length] ?? 0)
}
