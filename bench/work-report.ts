/** What a client's process tells of its work: time since a warm-up, without starting and compiling. */

/** Of all measured work together. */
export interface WorkReport {
  readonly wallMicros: number
  readonly userMicros: number
  readonly systemMicros: number
}

/** Times a piece of work. */
export async function measureWork(work: () => Promise<void>): Promise<WorkReport> {
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  await work()
  const wallMicros = (performance.now() - startedAt) * 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return { wallMicros, userMicros: user, systemMicros: system }
}

/** Prints what the process has to tell, as JSON, and ends it, whatever is still open. */
export function reportAndExit(report: object): void {
  process.stdout.write(JSON.stringify(report), () => process.exit(0))
}
