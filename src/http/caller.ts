import type { FastifyReply } from 'fastify'
import type { Engine, LeaseView, Retry } from '../engine.ts'

/** Who acquires. Most never wait, so the signal is made when it is asked for. */
export class Caller {
  readonly retry: Retry | undefined
  readonly #reply: FastifyReply

  constructor(reply: FastifyReply, retry?: Retry) {
    this.#reply = reply
    this.retry = retry
  }

  /** Aborted when the caller is gone before the answer. */
  get signal(): AbortSignal {
    const controller = new AbortController()
    unlessWritten(this.#reply, () => controller.abort())
    return controller.signal
  }
}

/** Nobody learns of leases whose answer can't be written: they end at once, not at their deadline. */
export function releaseUnlessWritten(
  reply: FastifyReply,
  engine: Engine,
  pool: string,
  leases: () => LeaseView[]
): void {
  unlessWritten(reply, () => {
    for (const { id } of leases()) {
      Promise.resolve(engine.release(pool, id)).catch((error: unknown) => {
        reply.log.error(
          { err: error, lease: id },
          'a lease that nobody knows of was not released: it ends at its deadline'
        )
      })
    }
  })
}

/** Calls back when the connection ends before the answer is written. */
function unlessWritten({ raw, request }: FastifyReply, callback: () => void): void {
  if (request.raw.socket.destroyed) return callback()
  // A response comes to its close either way, and has lost its connection by then where it was written.
  raw.on('close', () => {
    if (raw.socket?.destroyed) callback()
  })
}
