import { customRandom } from 'nanoid'
import type { KeyImport, Metadata, Random } from '../pool/key-pool.ts'
import { keyId } from '../pool/key-id.ts'
import { digitsOf, indexOf, keyAt, NOWHERE } from '../pool/key-space.ts'
import type { PoolScripts } from './pool-scripts.ts'
import type { Reply } from './replies.ts'
import type { Retry } from '../engine.ts'

/** The largest key space in which a script draws places: see put-pool.lua. */
const MAX_NUMBERED = 2 ** 40
/** How often keys are drawn anew where others took them at the same moment, before the caller is told to come later. */
const MAX_DRAWS = 100

/** Calls that make keys, whose results stand beside those of batches. */
const KEYS = 'keys '

/** What generated keys are made of, and the name of this choice: a script that meets another refuses as stale. */
interface NamedShape {
  name: string
  alphabet: string
  length: number
  prefix: string
  digits: Int8Array
}

/** Asks for the shape: no shape has this name. */
const NO_SHAPE: NamedShape = {
  name: '-',
  alphabet: 'ab',
  length: 1,
  prefix: '',
  digits: digitsOf({ alphabet: 'ab' })
}

/**
 * Makes the keys of a pool. The server's scripts can't compute an id, which is a SHA-256: so keys are drawn first, here or
 * by the script `draw`, and enter by another script only if none of them has been used in between. Given that, each is
 * as likely as any other key that is not used.
 */
export class KeyFactory {
  readonly #scripts: PoolScripts
  readonly #random: Random
  #shape = NO_SHAPE

  constructor(scripts: PoolScripts, random: Random) {
    this.#scripts = scripts
    this.#random = random
  }

  /** The answer of `generate`; 'overloaded' where others are always faster. */
  async generate(count: number, metadata: Metadata | null, retry: Retry | undefined): Promise<Reply> {
    const text = metadata === null ? '' : JSON.stringify(metadata)
    for (let draws = 0; draws < MAX_DRAWS; draws++) {
      const drawn = await this.#draw(count)
      if (!Array.isArray(drawn)) return drawn.reply
      const keys = drawn.flatMap(key => this.#entryOf(key, text))
      const reply = await this.#ask(() =>
        this.#scripts.run('generate', this.#shape.name, count, ...marksOf(retry, KEYS), ...keys)
      )
      if (reply[0] !== 'again' && reply[0] !== 'stale') return reply
    }
    return ['overloaded']
  }

  async import(imports: readonly KeyImport[], retry: Retry | undefined): Promise<Reply> {
    for (;;) {
      const keys = imports.flatMap(({ key, metadata }) => this.#entryOf(key, metadata ? JSON.stringify(metadata) : ''))
      const reply = await this.#ask(() =>
        this.#scripts.run('importKeys', this.#shape.name, ...marksOf(retry, KEYS), ...keys)
      )
      if (reply[0] !== 'stale') return reply
    }
  }

  /** Keys of the present shape, fewer where no more are left; or the refusal. */
  async #draw(count: number): Promise<string[] | { reply: Reply }> {
    if (this.#shape === NO_SHAPE) {
      const reply = await this.#ask(() => this.#scripts.run('draw', this.#shape.name))
      if (reply[0] === 'unknown-pool') return { reply }
    }
    const { alphabet, length, prefix, name } = this.#shape
    if (!isNumbered(this.#shape)) {
      const nanoid = customRandom(alphabet, length, bytes => this.#random.bytes(bytes))
      return [...new Set(Array.from({ length: count }, () => prefix + nanoid()))]
    }
    const randoms = Array.from({ length: count }, () => fraction(this.#random))
    const reply = await this.#ask(() => this.#scripts.run('draw', name, ...randoms))
    if (reply[0] === 'stale') return []
    if (reply[0] !== 'drawn') return { reply }
    return (reply[1] as number[]).map(place => keyAt(this.#shape, place))
  }

  #entryOf(key: string, metadata: string): [id: string, key: string, place: number, metadata: string] {
    return [keyId(key), key, placeOf(this.#shape, key), metadata]
  }

  async #ask(ask: () => Promise<Reply>): Promise<Reply> {
    const reply = await this.#scripts.untilCaughtUp(ask)
    if (reply[0] === 'stale') {
      const [name, alphabet, length, prefix] = reply[1] as [string, string, string, string]
      this.#shape = { name, alphabet, length: Number(length), prefix, digits: digitsOf({ alphabet }) }
    }
    return reply
  }
}

/** What a script knows a retry by; `call` sets those apart whose results are kept in one place. */
export function marksOf(retry: Retry | undefined, call = ''): [scope: string, fingerprint: string] {
  return retry === undefined ? ['', ''] : [call + retry.scope, retry.fingerprint]
}

function isNumbered({ alphabet, length }: NamedShape): boolean {
  return alphabet.length ** length <= MAX_NUMBERED
}

/** Where a key stands in the key space; 0 for each key of one that is not numbered; or NOWHERE. */
function placeOf(shape: NamedShape, key: string): number {
  const index = indexOf(shape, shape.digits, key)
  return index === NOWHERE || isNumbered(shape) ? index : 0
}

/** A random number of 0 … 1, 1 not among them. */
export function fraction(random: Random): string {
  return (random.below(2 ** 52) / 2 ** 52).toString()
}
