import { ID_LENGTH } from './key-id.ts'

const DOT = 46
const ZERO = 48

/** `<keyId>.<fence>` */
export function formatLeaseId(keyId: string, fence: number): string {
  return `${keyId}.${fence}`
}

/** The parts of a lease's id, or undefined for a string that is none. A fence is written in one way: no leading zero. */
export function parseLeaseId(id: string): { keyId: string; fence: number } | undefined {
  if (id.charCodeAt(ID_LENGTH) !== DOT || id.charCodeAt(ID_LENGTH + 1) === ZERO) return undefined
  let fence = 0
  for (let i = ID_LENGTH + 1; i < id.length; i++) {
    const digit = id.charCodeAt(i) - ZERO
    if (digit < 0 || digit > 9) return undefined
    fence = fence * 10 + digit
  }
  return fence > 0 && fence <= Number.MAX_SAFE_INTEGER ? { keyId: id.slice(0, ID_LENGTH), fence } : undefined
}
