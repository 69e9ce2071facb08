#!/usr/bin/env node
// Starts the command. Plain JavaScript, so that an old Node still gets a sentence and not a syntax error.
import module from 'node:module'

const OLDEST_NODE = 24
const args = process.argv.slice(2)

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  console.error(
    `ferry: Cannot run on Node.js ${process.versions.node}: version ${OLDEST_NODE} or newer is needed. ` +
      'With npm, `npx node@lts` brings one.',
  )
  process.exitCode = 1
} else if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  // Answered before anything else is loaded.
  const { version } = module.createRequire(import.meta.url)('../package.json')
  console.log(version)
} else {
  module.enableCompileCache()
  const { main } = await import('../dist/main.js')
  process.exitCode = await main(args)
}
