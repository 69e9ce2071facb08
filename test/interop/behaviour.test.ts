/**
 * Raw replies through Ferry, undici and node:http, side by side. Only Ferry's outcome is asserted;
 * with FERRY_WRITE=1 all three are written to docs/http1-behaviour.md.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import undiciPackage from 'undici/package.json' with { type: 'json' }
import { describe, expect, test } from 'vitest'
import {
  createFerryClient,
  createNodeClient,
  createUndiciClient,
  type HttpClientUnderTest,
  PATIENCE_MS,
} from '../support/http-clients.ts'
import { openRawServer } from '../support/raw-server.ts'
import { RAW_REPLIES, type RawReplyRow } from './raw-replies-table.ts'

const DOCUMENT = join(import.meta.dirname, '../../docs/http1-behaviour.md')
const CLIENTS = [createFerryClient, createUndiciClient, createNodeClient]

const COLUMNS = `| reply | ferry | undici ${undiciPackage.version} | node:http ${process.version} |\n|---|---|---|---|`
const INTRODUCTION = `# What Ferry makes of replies, beside undici and node:http

Written by \`FERRY_WRITE=1 npx vitest run test/interop/behaviour.test.ts\`; Ferry's column is what
that test asserts. The replies are in \`test/interop/raw-replies-table.ts\`.

\`200 "ok"\` is a response with its content. A code alone means that no head was given to the caller;
\`200, then CODE\` that the head was, and reading the content failed; \`waits\` that nothing came of it
in ${PATIENCE_MS} ms. Where two requests are sent on one connection, \`|\` stands between their outcomes.
\`remote-protocol\` is Ferry's word for "the peer broke the protocol", \`connection-lost\` for "the
connection ended too early".
`

/** Outcomes of the three, by the name of the row. */
const seen = new Map<string, readonly string[]>()

describe.each(RAW_REPLIES)('$title', ({ rows }) => {
  test.each(rows)('$name', async (row) => {
    const outcomes = await Promise.all(CLIENTS.map((create) => send(create, row)))

    seen.set(row.name, outcomes)
    expect(outcomes[0]).toBe(row.ferry)
  })
})

test('docs/http1-behaviour.md holds every row with the outcome of Ferry', async () => {
  if (process.env['FERRY_WRITE'] === '1') await writeFile(DOCUMENT, formatDocument())

  const text = await readFile(DOCUMENT, 'utf8')
  for (const { name, ferry } of RAW_REPLIES.flatMap(({ rows }) => rows)) {
    expect(text).toContain(`\n| ${cell(name)} | ${codeCell(ferry)} |`)
  }
})

/** Sends a row's requests one after another by one client, to a server of its own. */
async function send(create: () => HttpClientUnderTest, row: RawReplyRow): Promise<string> {
  const { method = 'GET', content, replies, requests = 1 } = row
  await using server = await openRawServer(replies)
  await using client = create()
  const outcomes: string[] = []
  for (let index = 0; index < requests; index++) {
    const url = `http://127.0.0.1:${server.port}/`
    outcomes.push(await client.send({ method, url, content }))
  }
  return outcomes.join(' | ')
}

function formatDocument(): string {
  const sections = RAW_REPLIES.map(({ title, rows }) => {
    const lines = rows.map(({ name }) => {
      return `| ${[cell(name), ...(seen.get(name) ?? []).map(codeCell)].join(' | ')} |`
    })
    return `## ${title}\n\n${COLUMNS}\n${lines.join('\n')}\n`
  })
  return `${INTRODUCTION}\n${sections.join('\n')}`
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}

function codeCell(text: string): string {
  return cell(`\`${text}\``)
}
