import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'

export interface Answer {
  status: number
  /** As JSON says; empty where there is none. */
  body: Record<string, unknown>
}

/** Longer than any call waits. */
const ANSWER_MS = 30_000
/** With these nothing was done; with 'storage-unavailable', nobody knows. */
const UNDONE = ['overloaded', 'draining', 'not-ready']

/**
 * One caller of many nodes. 'refused' where nothing was done, 'unknown' where the answer was lost, or says that the storage
 * was.
 */
export class Caller {
  readonly #agent = new Agent({ keepAlive: true })

  async ask(
    port: number,
    what: string,
    { body, headers = {} }: { body?: object; headers?: Record<string, string> } = {}
  ): Promise<Answer | 'refused' | 'unknown'> {
    const [method, path] = what.split(' ')
    const sent = request({ agent: this.#agent, host: '127.0.0.1', port, method, path, headers, timeout: ANSWER_MS })
    if (body !== undefined) sent.setHeader('content-type', 'application/json')
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    try {
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      const text = (await response.setEncoding('utf8').toArray()).join('')
      const answer = { status: response.statusCode ?? 0, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
      if (answer.status !== 503) return answer
      return UNDONE.includes(answer.body['code'] as string) ? 'refused' : 'unknown'
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'unknown'
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}
