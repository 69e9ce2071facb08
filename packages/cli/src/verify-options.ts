/** The options of `ferry verify` and its help. Loads nothing else, so that help comes at once. */
import type { Command } from 'commander'
import { collect } from './option-values.ts'

/** The options as commander gives them. */
export interface VerifyOptions {
  readonly checksum?: readonly string[]
  readonly checksums?: string
  readonly metalink?: string
  readonly json?: true
  readonly quiet?: true
}

const VERIFY_HELP = `
Examples:
  $ ferry verify --checksum sha256=9f86d0… image.iso
  $ ferry verify --checksums SHA256SUMS image.iso
  $ ferry verify --checksums SHA256SUMS                  every file that the list names
  $ ferry verify --metalink image.iso.meta4 image.iso    says which pieces are bad

Exit codes:
  0 every file is right     12 one has another size
  2 unusable option         15 one cannot be read
 11 one is wrong           130 interrupted`

/** Adds the command; `run` is called with what was said. */
export function addVerifyCommand(
  program: Command,
  run: (files: string[], options: VerifyOptions) => Promise<void>,
): Command {
  return program
    .command('verify')
    .description('check files that are here by their digests')
    .argument('[file...]', 'default: every file of the list or Metalink')
    .option('--checksum <algorithm=digest>', 'digest of the one file; repeatable', collect)
    .option('--checksums <file>', 'list of digests, such as SHA256SUMS')
    .option('--metalink <file>', 'Metalink that describes the files')
    .option('--json', 'print events as JSON, one a line')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', VERIFY_HELP)
    .action(run)
}
