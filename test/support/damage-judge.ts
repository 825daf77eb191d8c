import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Found } from './damage-reader.ts'

const READER = fileURLToPath(new URL('damage-reader.ts', import.meta.url))

/** What became of a directory that an engine was started on; 'ended' where the process did. */
export type Outcome = Found | 'ended'

/** Starts engines on directories in a process of its own, and in another after one that ended. */
export class DamageJudge {
  #child: ChildProcess | undefined
  #told: (outcome: Outcome) => void = () => undefined

  judge(directory: string): Promise<Outcome> {
    const child = (this.#child ??= this.#start())
    child.send(directory)
    return new Promise(resolve => (this.#told = resolve))
  }

  close(): void {
    this.#child?.kill('SIGKILL')
  }

  #start(): ChildProcess {
    // What LMDB writes before it ends the process is of no use to anybody.
    const child = fork(READER, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    child.on('message', found => this.#told(found as Found))
    child.on('exit', () => {
      this.#child = undefined
      this.#told('ended')
    })
    return child
  }
}
