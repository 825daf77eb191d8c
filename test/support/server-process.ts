import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { performance } from 'node:perf_hooks'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'

const ROOT = new URL('../../', import.meta.url)

/** What tests of this file use of tap's Test. */
interface Test {
  teardown(close: () => unknown): void
}

/** How a process ended. */
export interface End {
  code: number | null
  /** The lines that it wrote to its standard output. */
  lines: string[]
  /** What it wrote to its standard error. */
  errors: string
}

/** The process itself, without a terminal, and with no environment but this. Ended with the test. */
export class ServerProcess {
  readonly ended: Promise<End>
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #lines: string[] = []
  readonly #output: Interface
  readonly #firstLine: Promise<unknown>

  constructor(t: Test, environment: Record<string, string>) {
    this.#child = spawn(process.execPath, ['--import=tsx', 'src/main.ts'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    t.teardown(() => this.#child.kill('SIGKILL'))
    this.#output = createInterface(this.#child.stdout).on('line', line => this.#lines.push(line))
    this.#firstLine = once(this.#output, 'line')
    let errors = ''
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    this.ended = once(this.#child, 'close').then(([code]) => ({
      code: code as number | null,
      lines: this.#lines,
      errors
    }))
  }

  /** Where it listens, from its first line. Rejects where it ends instead. */
  async listening(): Promise<{ docs: string; msg: string; port: number }> {
    await Promise.race([this.#firstLine, this.ended.then(({ errors }) => Promise.reject(new Error(errors)))])
    const { docs, msg } = JSON.parse(this.#lines[0] as string) as { docs: string; msg: string }
    return { docs, msg, port: Number(new URL(docs).port) }
  }

  /** Resolves with the first line that has this text, once there is one. */
  async line(text: string): Promise<string> {
    for (;;) {
      const line = this.#lines.find(line => line.includes(text))
      if (line !== undefined) return line
      await Promise.race([
        once(this.#output, 'line'),
        this.ended.then(({ errors }) => Promise.reject(new Error(errors)))
      ])
    }
  }

  signal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP'): void {
    this.#child.kill(signal)
  }

  /** Sends the signal; resolves at the end, with how long that took. */
  async stop(signal: 'SIGTERM' | 'SIGINT'): Promise<End & { ms: number }> {
    const start = performance.now()
    this.signal(signal)
    const end = await this.ended
    return { ...end, ms: performance.now() - start }
  }
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Record<string, unknown>
}

/** A client with one connection, which it keeps open. Closed with the test. */
export class Connection {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(t: Test, port: number) {
    this.#port = port
    t.teardown(() => this.#agent.destroy())
  }

  /** Asks and gets the whole answer. */
  ask(what: string, body?: object): Promise<Answer> {
    const { request, answer } = this.begin(what, {})
    request.end(body === undefined ? undefined : JSON.stringify(body))
    return answer
  }

  /** Sends the head of a request with a JSON body, and resolves when the server has begun to serve it. */
  async announce(what: string, length: number): Promise<{ request: ClientRequest; answer: Promise<Answer> }> {
    const begun = this.begin(what, { 'content-length': length, expect: '100-continue' })
    begun.request.flushHeaders()
    await once(begun.request, 'continue')
    return begun
  }

  begin(what: string, headers: Record<string, string | number>): { request: ClientRequest; answer: Promise<Answer> } {
    const [method, path] = what.split(' ')
    const sent = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#port,
      method,
      path,
      headers: { 'content-type': 'application/json', ...headers }
    })
    const answer = (once(sent, 'response') as Promise<[IncomingMessage]>).then(async ([response]) => {
      const text = (await response.setEncoding('utf8').toArray()).join('')
      return {
        status: response.statusCode as number,
        headers: response.headers,
        body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text }
      }
    })
    return { request: sent, answer }
  }
}
