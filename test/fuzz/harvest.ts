import type { Value } from './values.ts'

/** Under which names keys are shown, by /v1 and by the dialects. */
export const NAMES_OF_SECRETS = ['key', 'key:', 'api_key']

/** As many of each name as are remembered. */
const KEPT = 300
/** A lease shows its own id and its key's; what looks like the first is filed as such. */
const LEASE_ID = /^[A-Za-z0-9_-]{22}\.\d+$/

/** What answers have shown so far, by the names of its members. */
export class Harvest {
  readonly #seen = new Map<string, (string | number)[]>()

  /** Files all that stands in an answer. */
  take(body: unknown): void {
    if (typeof body !== 'object' || body === null) return
    for (const [name, value] of Object.entries(body)) {
      if (typeof value === 'object') this.take(value)
      else if (typeof value === 'string' || typeof value === 'number') {
        this.#file(typeof value === 'string' && LEASE_ID.test(value) ? 'leaseId' : name, value)
      }
    }
  }

  #file(name: string, value: string | number): void {
    const values = this.#seen.get(name) ?? []
    if (values.length === 0) this.#seen.set(name, values)
    if (values.at(-1) !== value) values.push(value)
    if (values.length > KEPT) values.shift()
  }

  /** The nth latest that was shown under one of the names; where there are none, under any but those of secrets. */
  find(names: readonly string[], nth: number): string | number {
    const asked =
      names.length === 0
        ? [...this.#seen.keys()].filter(name => !NAMES_OF_SECRETS.includes(name))
        : names.filter(name => this.#seen.has(name))
    const values = this.#seen.get(asked[nth % asked.length] as string) ?? []
    return values.at(-1 - (nth % values.length)) ?? 'nothing-seen-yet'
  }

  /** A value with what it refers to. */
  fill(value: Value): Value {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(part => this.fill(part))
    if ('$seen' in value) return this.find(value.$seen as string[], value.nth as number)
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.fill(part)]))
  }
}

/** JSON, with what stands in for its own text put in. */
export function toJson(value: Value): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  if ('$raw' in value) return String(value.$raw)
  return `{${Object.entries(value)
    .map(([name, part]) => `${JSON.stringify(name)}:${toJson(part as Value)}`)
    .join(',')}}`
}
