/**
 * A page that uploads with Uppy, and by hand with the draft on resumable uploads. It is bundled and
 * runs in a browser: tests call what it puts on its window, which upload-page.ts describes.
 *
 * Not in TypeScript, because the types of Uppy would bring those of browsers to all other files.
 */
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'
import { numberedBytes } from './numbered-bytes.ts'

async function uploadWithUppy({ endpoint, key, name, size }) {
  const uppy = new Uppy().use(Tus, {
    endpoint,
    headers: { Authorization: `Bearer ${key}` },
    retryDelays: [100, 200, 500],
  })
  uppy.addFile({ name, type: 'application/octet-stream', data: new Blob([numberedBytes(size)]) })
  const { failed } = await uppy.upload()
  return failed[0]?.error
}

/** Browsers hide interim responses from pages, so that the URL has to be known before. */
async function uploadByDraft({ endpoint, key, name, size }) {
  const content = new Blob([numberedBytes(size)])
  const fields = { Authorization: `Bearer ${key}` }
  const created = await fetch(endpoint, {
    method: 'POST',
    headers: {
      ...fields,
      'Content-Disposition': `inline; filename="${name}"`,
      'Upload-Complete': '?0',
      'Upload-Length': String(size),
      'Want-Repr-Digest': 'sha-256=1',
    },
  })
  const url = new URL(created.headers.get('Location'), endpoint)
  const append = (offset, end) =>
    fetch(url, {
      method: 'PATCH',
      headers: {
        ...fields,
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': offset,
        'Upload-Complete': end === size ? '?1' : '?0',
      },
      body: content.slice(Number(offset), end),
    })
  const first = await append('0', Math.floor(size / 2))
  const asked = await fetch(url, { method: 'HEAD', headers: fields })
  const last = await append(asked.headers.get('Upload-Offset'), size)
  return {
    statuses: [created, first, asked, last].map(({ status }) => status),
    digest: last.headers.get('Repr-Digest'),
  }
}

Object.assign(globalThis, { uploadWithUppy, uploadByDraft })
