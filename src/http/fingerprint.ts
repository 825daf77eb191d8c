import { hash } from 'node:crypto'

/** The same for the same JSON, whatever the order of its members. A hash: a body may hold keys. */
export function fingerprintOf(body: unknown): string {
  return hash('sha256', JSON.stringify(body ?? {}, sortMembers), 'base64url')
}

function sortMembers(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
