import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { DEBIAN_PACKAGES, requireTool } from '../support/tools.ts'

afterEach(() => vi.unstubAllEnvs())

test('requireTool() gives the path of a program on PATH', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-tools-'))
  const program = join(folder.path, 'axel')
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
  vi.stubEnv('PATH', folder.path)

  expect(requireTool('axel')).toBe(program)
})

test('requireTool() names the Debian package of a program that is absent', () => {
  vi.stubEnv('PATH', '/nowhere')

  expect(() => requireTool('aria2c')).toThrow('needs aria2c: install the Debian package aria2')
})

test('DEBIAN_PACKAGES takes programs without services where Debian has them apart', () => {
  expect(DEBIAN_PACKAGES.apache2).toBe('apache2-bin')
  expect(DEBIAN_PACKAGES.tinyproxy).toBe('tinyproxy-bin')
})
