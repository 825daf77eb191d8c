import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'

export interface Answer {
  status: number
  /** As JSON says; empty where there is none. */
  body: Record<string, unknown>
}

/** One connection at a time to a server, which may end at any moment. */
export class Caller {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(port: number) {
    this.#port = port
  }

  /** Asks and gets the whole answer; undefined where it was lost. */
  async ask(what: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer | undefined> {
    const [method, path] = what.split(' ')
    const sent = request({ agent: this.#agent, host: '127.0.0.1', port: this.#port, method, path, headers })
    if (body !== undefined) sent.setHeader('content-type', 'application/json')
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    try {
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      const text = (await response.setEncoding('utf8').toArray()).join('')
      return { status: response.statusCode ?? 0, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}
