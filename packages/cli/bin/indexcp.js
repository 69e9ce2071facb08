#!/usr/bin/env node
import { start } from './start.js'

await start('indexcp', async () => (await import('../dist/indexcp-main.js')).main)
