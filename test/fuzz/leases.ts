interface Lease {
  id: string
  pool: string
  keyId: string
  fence: number
}

/** What callers have been told of leases. */
export class Leases {
  /** The lease with the largest fence that was granted of each key, by pool and key. */
  readonly #latest = new Map<string, Lease>()
  /** Which lease has a fence, by pool and fence. */
  readonly #fences = new Map<string, string>()

  /**
   * Takes in answers that came together. Returns the leases that must have ended, since their keys have been leased anew,
   * and what is wrong in itself.
   */
  take(answers: readonly unknown[]): { earlier: Lease; wrong?: string }[] {
    const found: { earlier: Lease; wrong?: string }[] = []
    const granted = answers.flatMap(grantsIn).sort((a, b) => a.fence - b.fence)
    for (const lease of granted) {
      const name = `${lease.pool} ${lease.fence}`
      const other = this.#fences.get(name)
      if (other !== undefined && other !== lease.id) {
        found.push({ earlier: lease, wrong: `the fence ${lease.fence} was granted twice: ${other} and ${lease.id}` })
      }
      this.#fences.set(name, lease.id)
      const key = `${lease.pool} ${lease.keyId}`
      const earlier = this.#latest.get(key)
      if (earlier !== undefined && earlier.fence > lease.fence) {
        found.push({ earlier, wrong: `${lease.id} was granted after ${earlier.id}` })
      }
      if (earlier !== undefined && earlier.id !== lease.id) found.push({ earlier })
      this.#latest.set(key, lease)
    }
    return found
  }
}

/** All leases that are shown with their secrets: those that were just granted, or that a retry met again. */
export function grantsIn(value: unknown): Lease[] {
  if (typeof value !== 'object' || value === null) return []
  if ('keyId' in value && 'key' in value && 'fence' in value) return [value as unknown as Lease]
  return Object.values(value).flatMap(grantsIn)
}
