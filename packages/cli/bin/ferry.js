#!/usr/bin/env node
import { start } from './start.js'

await start('ferry', async () => (await import('../dist/main.js')).main)
