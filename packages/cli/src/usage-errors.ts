/** How mistakes in a command line are told: as one line, like every other failure. Pure. */
import { printable } from './terminal-text.ts'

/**
 * Commander's words as a line of ours. What the user has typed may hold a secret in a wrong place: of
 * an unknown option only its name is repeated, and of arguments that are too many only their number.
 * @param command with the name of the program before it
 */
export function formatUsageError(text: string, command: string): string {
  const [first = '', ...rest] = withoutTyped(text.trim().replace(/^error: /, '')).split('\n')
  const hint = rest.map((line) => ` ${line}`).join('')
  const [program] = command.split(' ')
  const told = printable(first.replace(/\.$/, '') + hint)
  return `${program}: Cannot run: ${told}. See ${command} --help.\n`
}

function withoutTyped(text: string): string {
  return text
    .replace(/^(too many arguments.*? but got \d+): [^]*$/, '$1')
    .replace(/^(unknown option '--[^'=]*)=[^]*'/, "$1=…'")
    .replace(/^(unknown option '-[^-])[^]+'/, "$1…'")
    .replace(/^unknown command '(?![\w-]+')[^]*$/, 'the first word has to be a command')
}
