import { hash } from 'node:crypto'
import type { Role } from '../../src/access/bearer.ts'

export interface Entry {
  name: string
  sha256: string
  role: Role
  pools: '*' | string[]
}

/** What the file of tokens has of this one. */
export function entryOf(token: string, name: string, role: Role = 'user', pools: Entry['pools'] = '*'): Entry {
  return { name, sha256: hash('sha256', token, 'hex'), role, pools }
}
