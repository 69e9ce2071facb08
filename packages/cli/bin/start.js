// Starts a program of this package. Plain JavaScript, so that an old Node still gets a sentence and
// not a syntax error.
import module from 'node:module'

const OLDEST_NODE = 24

/** Runs the main function that `load` brings. */
export async function start(name, load) {
  const args = process.argv.slice(2)
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    console.error(
      `${name}: Cannot run on Node.js ${process.versions.node}: version ${OLDEST_NODE} or newer is needed. ` +
        'With npm, `npx node@lts` brings one.',
    )
    process.exitCode = 1
  } else if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    // Answered before anything else is loaded.
    const { version } = module.createRequire(import.meta.url)('../package.json')
    console.log(version)
  } else {
    module.enableCompileCache()
    process.exitCode = await (await load())(args)
  }
}
