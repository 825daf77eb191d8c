import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { type Answer, parseAnswers, send, type ServiceOfTest } from './create-service.ts'
import { until } from './create-engine.ts'

/** A client that writes what it likes, and reads only when it is told to. Closed with the test. */
export class RudeClient {
  readonly socket: Socket
  readonly #chunks: Buffer[] = []
  /** Whether the server has ended the connection. */
  closed = false

  constructor(t: Test, port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.teardown(() => this.socket.destroy())
    // The server may reset what is abused.
    this.socket.on('error', () => undefined)
    for (const event of ['end', 'close']) this.socket.once(event, () => (this.closed = true))
    this.socket.pause()
  }

  write(text: string): this {
    this.socket.write(text)
    return this
  }

  /** From now on. */
  read(): this {
    this.socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk)).resume()
    return this
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  get answers(): Answer[] {
    return parseAnswers(this.text)
  }

  /** Resolves when the server has ended the connection. */
  ended(): Promise<void> {
    return new Promise(resolve => {
      if (this.closed) resolve()
      this.socket.once('end', resolve).once('close', resolve)
    })
  }
}

/** Checks that somebody else is served as always: acquires a key and gives it back. */
export async function othersAreServed(t: Test, port: number): Promise<void> {
  const { status, body } = await send(port, 'POST', 'leases', { body: {} }).answer
  t.equal(status, 201)
  t.equal((await send(port, 'DELETE', `leases/${body.id}`).answer).status, 204)
  t.match(await send(port, 'GET', '/livez').answer, { status: 200, body: { status: 'ok' } })
}

/** Resolves when the server has that many connections. */
export async function untilConnections(app: ServiceOfTest['app'], count: number): Promise<void> {
  await until(
    () =>
      new Promise(resolve => {
        app.server.getConnections((_error, connections) => resolve(connections === count))
      })
  )
}

/** A request as it goes over the wire. */
export const http = (line: string, headers: readonly string[] = [], body = ''): string =>
  `${[`${line} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n${body}`
