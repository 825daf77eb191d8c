import type { FastifyReply, FastifyRequest } from 'fastify'

/** The paths that are served, each with its methods: for requests that no route matches, so its cost does not matter. */
export class KnownPaths {
  readonly #paths = new Map<string, KnownPath>()

  add(
    url: string,
    method: string | string[],
    methodNotAllowed: ((request: FastifyRequest, reply: FastifyReply) => unknown) | undefined
  ): void {
    const pattern = url
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:[A-Za-z]+/g, '[^/]*')
      .replace('\\*', '.*')
    const path = this.#paths.get(pattern) ?? { pattern: new RegExp(`^${pattern}$`), methods: new Set() }
    for (const each of [method].flat()) path.methods.add(each)
    if (methodNotAllowed !== undefined) path.methodNotAllowed = methodNotAllowed
    this.#paths.set(pattern, path)
  }

  /** What several routes may serve together, as `keys/lookup` also is where a key of that id would be. */
  find(path: string): KnownPath | undefined {
    let found: KnownPath | undefined
    for (const known of this.#paths.values()) {
      if (!known.pattern.test(path)) continue
      found = found === undefined ? known : { ...found, methods: new Set([...found.methods, ...known.methods]) }
    }
    return found
  }
}

interface KnownPath {
  pattern: RegExp
  methods: Set<string>
  methodNotAllowed?: (request: FastifyRequest, reply: FastifyReply) => unknown
}
