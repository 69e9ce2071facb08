/**
 * The states of a stream that we have opened (RFC 9113 §5.1), as a table. `idle` streams are those
 * whose number is still to come; there are no reserved ones, since we take no pushed responses.
 */

export type StreamState = 'open' | 'half-closed-local' | 'half-closed-remote' | 'closed'

/** What ends a direction, or both. */
export type StreamStep = 'send-end' | 'receive-end' | 'reset'

const NEXT: Readonly<Record<StreamState, Readonly<Record<StreamStep, StreamState>>>> = {
  open: {
    'send-end': 'half-closed-local',
    'receive-end': 'half-closed-remote',
    reset: 'closed',
  },
  'half-closed-local': {
    'send-end': 'half-closed-local',
    'receive-end': 'closed',
    reset: 'closed',
  },
  'half-closed-remote': {
    'send-end': 'closed',
    'receive-end': 'half-closed-remote',
    reset: 'closed',
  },
  closed: { 'send-end': 'closed', 'receive-end': 'closed', reset: 'closed' },
}

export function nextStreamState(state: StreamState, step: StreamStep): StreamState {
  return NEXT[state][step]
}
