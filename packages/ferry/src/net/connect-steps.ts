/**
 * Tells a listener the steps of one connection, each begun and ended once, and nothing after the
 * connection stands or has failed. While nobody listens nothing is built.
 */
import type { ConnectStep } from './network-backend.ts'

type Step = ConnectStep['step']

/** The steps of one connection. */
export class ConnectSteps {
  #listener: ((step: ConnectStep) => void) | undefined
  #open: { readonly step: Step; readonly address: string | undefined }[] = []

  constructor(listener: ((step: ConnectStep) => void) | undefined) {
    this.#listener = listener
  }

  start(step: Step, address?: string): void {
    if (this.#listener === undefined) return
    this.#open.push({ step, address })
    this.#listener({ step, phase: 'start', address })
  }

  /** Ends a step; other addresses that it was tried with have lost and are not told of. */
  end(step: Step, address?: string): void {
    if (!this.#open.some((open) => open.step === step)) return
    this.#open = this.#open.filter((open) => open.step !== step)
    this.#listener?.({ step, phase: 'end', address })
  }

  fail(step: Step, error: Error, address?: string): void {
    const at = this.#open.findIndex((open) => open.step === step && open.address === address)
    if (at === -1) return
    this.#open.splice(at, 1)
    this.#listener?.({ step, phase: 'error', address, error })
  }

  /** The last word: what is still open has failed with this error, if any. */
  finish(error?: Error): void {
    if (error !== undefined) {
      for (const { step, address } of [...this.#open]) this.fail(step, error, address)
    }
    this.#open = []
    this.#listener = undefined
  }
}
