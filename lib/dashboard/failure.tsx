// Why an action was not carried out, and what to do about it.
import { ApiError } from './api.js'

/** What to do about a refusal. */
function advice({ status }: ApiError): string {
  switch (status) {
    case 0:
      return 'It is not known whether it was done: look before you try again.'
    case 400:
    case 415:
    case 422:
      return 'Nothing was changed.'
    case 401:
      return 'Nothing was changed. Sign in in another tab, then try again: what you wrote stays here.'
    case 403:
      return 'Nothing was changed. Ask whoever runs this service for permission.'
    case 404:
      return 'It is there no more: close this, and look at what there is.'
    case 409:
      return 'Nothing was changed. Look at what holds it, then try again.'
    case 412:
      return 'Somebody else was faster, and nothing was changed. Look at what stands now; if it is still right, do it again.'
    case 503:
      return 'Nothing was changed. Try again when Redis answers: what you wrote stays here.'
    default:
      return 'Try again, or look into the log of the service.'
  }
}

export interface Refusal {
  readonly error: ApiError
  /** What stands now, after somebody else was faster. */
  readonly now?: string
}

/** What came, as a refusal. */
export function refusalOf(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, '', 'What came cannot be read.')
}

export function Failure({ refusal }: { readonly refusal: Refusal | null }) {
  return (
    <div class="failure" role="alert">
      {refusal !== null && (
        <>
          <p class="bad strong" dir="auto">
            {refusal.error.message}
            {refusal.error.code !== '' && <span class="dim mono"> {refusal.error.code}</span>}
          </p>
          <p>{advice(refusal.error)}</p>
          {refusal.now !== undefined && <p dir="auto">{refusal.now}</p>}
        </>
      )}
    </div>
  )
}
