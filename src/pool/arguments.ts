/**
 * What callers whose language checks no types may hand to a pool by mistake. Each check throws an error that names the
 * argument and says what it must be; none shows the value, which may be a secret.
 */
export function checkString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
}

export function checkOptionalString(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') throw new TypeError(`${name} must be a string, or absent`)
}

export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
}

/** An integer of at least `min` and at most `max`; else a RangeError, also for what is no number. */
export function checkInteger(name: string, value: unknown, min: number, max = Infinity): void {
  if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
    throw new RangeError(
      `${name} must be an integer of at least ${min}${max === Infinity ? '' : ` and at most ${max}`}`
    )
  }
}

/** A flat object of strings, null or undefined. */
export function checkMetadata(name: string, value: unknown): void {
  if (value === null || value === undefined) return
  if (typeof value !== 'object' || Array.isArray(value) || !Object.values(value).every(isString))
    throw new TypeError(`${name} must be a flat object of strings, or null`)
}

function isString(value: unknown): boolean {
  return typeof value === 'string'
}
