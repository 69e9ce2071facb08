/** The HTTP client. */
export { HttpClient, type HttpClientOptions, type RequestOptions } from './http-client.ts'
