/**
 * The names of a schema's members, at any depth. A member that the caller named may have a secret for its name: only an
 * index, and a name that the schema has, or one that is mistyped, may be repeated to the caller.
 */
export class KnownNames {
  readonly #names = new Set<string>()

  constructor(schema: object) {
    this.#collect(schema)
  }

  has(name: string): boolean {
    return /^\d{1,3}$/.test(name) || this.#names.has(plain(name))
  }

  /** The pointer up to the first name that may be a secret. */
  withoutSecrets(pointer: string): string {
    const [, ...parts] = pointer.split('/')
    const secret = parts.findIndex(part => !this.has(part))
    return (secret === -1 ? parts : parts.slice(0, secret)).map(part => `/${part}`).join('')
  }

  #collect(schema: object): void {
    for (const [word, part] of Object.entries(schema) as [string, unknown][]) {
      if (typeof part !== 'object' || part === null) continue
      if (word === 'properties') for (const name of Object.keys(part)) this.#names.add(plain(name))
      this.#collect(part)
    }
  }
}

/** Names that differ only so are taken for the same, mistyped. */
function plain(name: string): string {
  return name.replace(/[-_ ]/g, '').toLowerCase()
}
