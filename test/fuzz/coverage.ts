import type { ApiDocument } from './document.ts'

/** How often each operation was answered with which status. */
export class Coverage {
  readonly #document: ApiDocument
  readonly #met = new Map<string, Map<number, number>>()
  requests = 0

  constructor(document: ApiDocument) {
    this.#document = document
  }

  note(operation: string | undefined, status: number): void {
    this.requests++
    const id = operation ?? '(no route)'
    const statuses = this.#met.get(id) ?? new Map<number, number>()
    this.#met.set(id, statuses.set(status, (statuses.get(status) ?? 0) + 1))
  }

  /** The operations that were never met with success. */
  get unmet(): string[] {
    return this.#document.operations
      .map(({ id }) => id)
      .filter(id => ![...(this.#met.get(id)?.keys() ?? [])].some(status => status < 300))
  }

  /** The operations that were never answered with this status. */
  without(status: number): string[] {
    return this.#document.operations.map(({ id }) => id).filter(id => this.#met.get(id)?.has(status) !== true)
  }

  toString(): string {
    const rows = [...this.#met].sort(([a], [b]) => (a < b ? -1 : 1))
    const width = Math.max(...rows.map(([id]) => id.length))
    return rows
      .map(([id, statuses]) => {
        const cells = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
        return `${id.padEnd(width)}  ${cells.join('  ')}`
      })
      .join('\n')
  }
}
