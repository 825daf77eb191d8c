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
 * A request that does not come behind another, which is nearly every one, costs an entry in a map.
 */
export class Pipelines {
  /** The last response that each connection was promised. */
  readonly #last = new WeakMap<Socket, ServerResponse>()
  readonly #waiting = new Map<Socket, number>()
  readonly #broken = new WeakSet<Socket>()
  #waitingInAll = 0

  /** Comes between a server and those who listen for its requests. */
  attach(server: Server): void {
    const serve = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
    server.removeAllListeners('request')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const { socket } = request
      this.#last.set(socket, response)
      // Node gives a response its connection when it is its turn.
      if (response.socket !== null) for (const each of serve) each(request, response)
      else this.#wait(socket, request, response, serve)
    })
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#last.set(request.socket, response)
    })
    const attend = (socket: Socket): void => {
      // Node reads on after each request and each answer.
      socket.on('resume', () => this.#pauseIfFull(socket))
      socket.on('close', () => this.#forget(socket))
      // What Node calls after an answer that is the last.
      const { destroySoon } = socket
      socket.destroySoon = () => {
        if (this.#last.get(socket)?.req.complete === false) endGently(socket)
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
    const last = this.#last.get(socket)
    this.#broken.add(socket)
    if (last === undefined || last.writableFinished) answer()
    else if (last.req.complete) last.once('finish', answer)
    else if (last.socket === null) last.once('socket', answer)
    else if (last.headersSent) socket.destroy()
    else answer()
  }

  #wait(
    socket: Socket,
    request: IncomingMessage,
    response: ServerResponse,
    serve: ((request: IncomingMessage, response: ServerResponse) => void)[]
  ): void {
    if (this.#waitingInAll >= MAX_WAITING_IN_ALL && this.#isFull(socket)) {
      socket.destroy()
      return
    }
    this.#count(socket, 1)
    this.#pauseIfFull(socket)
    response.once('socket', () => {
      // In a turn of its own: the next of a pipeline would otherwise follow without anybody else having been served.
      setImmediate(() => {
        if (socket.destroyed) return
        this.#count(socket, -1)
        if (!this.#isFull(socket)) socket.resume()
        // What broke off before its end is nothing to serve.
        if (request.complete || !this.#broken.has(socket)) for (const each of serve) each(request, response)
      })
    })
  }

  #pauseIfFull(socket: Socket): void {
    if (this.#isFull(socket)) socket.pause()
  }

  #isFull(socket: Socket): boolean {
    return (this.#waiting.get(socket) ?? 0) > MAX_WAITING
  }

  #count(socket: Socket, more: number): void {
    const waiting = (this.#waiting.get(socket) ?? 0) + more
    this.#waitingInAll += more
    if (waiting === 0) this.#waiting.delete(socket)
    else this.#waiting.set(socket, waiting)
  }

  #forget(socket: Socket): void {
    this.#waitingInAll -= this.#waiting.get(socket) ?? 0
    this.#waiting.delete(socket)
  }
}
