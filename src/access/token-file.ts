import { readFile } from 'node:fs/promises'
import type { Clock, Timer } from '../clock.ts'
import type { Bearer, Bearers } from './bearer.ts'
import { readTokens } from './read-tokens.ts'
import type { TokenList } from './token-list.ts'

/** How often the file is looked at: a token that is taken away works for so long at the most. */
export const RELOAD_MS = 1000

export interface TokenFileOptions {
  path: string
  clock: Clock
  /** Told when other tokens have come into force. */
  onReload: (size: number) => void
  /** Told what is wrong with a new version, once: the tokens known before stay in force. */
  onWrong: (reason: string) => void
}

/**
 * The tokens of a file, as it is now.
 *
 * The file is read again every second and compared by its text. That costs a few kilobytes, and misses nothing: a watch
 * loses a file that is replaced by a rename (editors, Ansible) or a link that is turned (Kubernetes), and two versions
 * within one tick of the file system have the same times.
 */
export class TokenFile implements Bearers {
  readonly #options: TokenFileOptions
  #tokens: TokenList
  /** The text that was read last, or why it was not. */
  #seen: string
  #checked: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #closed = false

  private constructor(options: TokenFileOptions, text: string) {
    this.#options = options
    this.#tokens = readTokens(text)
    this.#seen = text
    this.#schedule()
  }

  /** Rejects with all that is wrong, where the file can't be read or is not in order. */
  static async open(options: TokenFileOptions): Promise<TokenFile> {
    return new TokenFile(options, await readFile(options.path, 'utf8'))
  }

  get size(): number {
    return this.#tokens.size
  }

  bearerOf(token: string): Bearer | undefined {
    return this.#tokens.bearerOf(token)
  }

  /** Looks at the file now. Resolves when its present version is in force, or refused. */
  check(): Promise<void> {
    this.#checked = this.#checked.then(() => this.#check())
    return this.#checked
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  async #check(): Promise<void> {
    const { path, onReload, onWrong } = this.#options
    const { text, failure } = await read(path)
    const seen = text ?? failure
    if (seen === this.#seen) return
    this.#seen = seen
    if (text === undefined) return onWrong(failure)
    try {
      this.#tokens = readTokens(text)
    } catch (error) {
      return onWrong((error as Error).message)
    }
    onReload(this.#tokens.size)
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(RELOAD_MS, () => void this.check().then(() => this.#schedule()))
  }
}

async function read(path: string): Promise<{ text: string; failure: '' } | { text: undefined; failure: string }> {
  try {
    return { text: await readFile(path, 'utf8'), failure: '' }
  } catch (error) {
    return { text: undefined, failure: (error as Error).message }
  }
}
