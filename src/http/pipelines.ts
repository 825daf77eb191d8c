import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { endGently } from './farewell.ts'

/** So many requests of a connection may wait for their turn while it is read on. */
const MAX_WAITING = 50
/** Where so many wait in all, at about 1.5 kB each, nobody may have more than that. */
const MAX_WAITING_IN_ALL = 50_000

/**
 * HOW PIPELINED REQUESTS ARE SERVED
 *
 * Node hands over every request of a pipeline as soon as it is read, up to 3,000 from one chunk, and holds their answers
 * back until it is each one's turn. Here a request is served when that turn has come: when the answer before it has gone
 * out. So a reader that does not read costs one answer, not thousands, and callers on other connections are served
 * between any two of a pipeline. Requests that change something may not be run side by side anyway (RFC 9112, 9.3.2).
 *
 * Those that wait are bounded by not reading on. A chunk that has been read can't be given back, so a connection may have
 * one more chunk's worth; where all together have too many, those who do are cut off when they bring the next.
 *
 * A request that does not come behind another, which is nearly every one, costs a look into a map.
 */
export class Pipelines {
  readonly #connections = new WeakMap<Socket, Connection>()
  #waitingInAll = 0

  /** Comes between a server and those who listen for its requests. */
  attach(server: Server): void {
    const serve = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
    server.removeAllListeners('request')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.#of(request.socket)
      connection.last = response
      // Node gives a response its connection when it is its turn.
      if (response.socket !== null) for (const each of serve) each(request, response)
      else this.#wait(connection, request, response, serve)
    })
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#of(request.socket).last = response
    })
    const attend = (socket: Socket): void => {
      const connection = this.#of(socket)
      // Node reads on after each request and each answer.
      socket.on('resume', () => pauseIfFull(connection))
      socket.on('close', () => this.#count(connection, -connection.waiting))
      // What Node calls after an answer that is the last.
      const { destroySoon } = socket
      socket.destroySoon = () => {
        if (connection.last?.req.complete === false) endGently(socket)
        else destroySoon.call(socket)
      }
    }
    server.on('connection', attend)
    // Under TLS requests come over these, each on top of another that has none.
    server.on('secureConnection', attend)
  }

  /**
   * After what could not be read, answers: once the requests before it have their answers, which it must not be taken
   * for. Where an answer has begun to a request that did not come to its end, there is no way to give another.
   */
  breakOff(socket: Socket, answer: () => void): void {
    const connection = this.#of(socket)
    const { last } = connection
    connection.isBroken = true
    if (last === undefined || last.writableFinished) answer()
    else if (last.req.complete) last.once('finish', answer)
    else if (last.socket === null) last.once('socket', answer)
    else if (last.headersSent) socket.destroy()
    else answer()
  }

  #wait(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    serve: ((request: IncomingMessage, response: ServerResponse) => void)[]
  ): void {
    const { socket } = connection
    if (this.#waitingInAll >= MAX_WAITING_IN_ALL && isFull(connection)) {
      socket.destroy()
      return
    }
    this.#count(connection, 1)
    pauseIfFull(connection)
    response.once('socket', () => {
      // In a turn of its own: the next of a pipeline would otherwise follow without anybody else having been served.
      setImmediate(() => {
        if (socket.destroyed) return
        this.#count(connection, -1)
        if (!isFull(connection)) socket.resume()
        // What broke off before its end is nothing to serve.
        if (request.complete || !connection.isBroken) for (const each of serve) each(request, response)
      })
    })
  }

  #count(connection: Connection, more: number): void {
    connection.waiting += more
    this.#waitingInAll += more
  }

  #of(socket: Socket): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection = { socket, last: undefined, waiting: 0, isBroken: false }
    this.#connections.set(socket, connection)
    return connection
  }
}

/** What is known of a connection. */
interface Connection {
  readonly socket: Socket
  /** The last response that it was promised. */
  last: ServerResponse | undefined
  /** How many requests wait for their turn. */
  waiting: number
  isBroken: boolean
}

function isFull({ waiting }: Connection): boolean {
  return waiting > MAX_WAITING
}

function pauseIfFull(connection: Connection): void {
  if (isFull(connection)) connection.socket.pause()
}
