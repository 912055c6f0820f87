// The page: everything that is followed, and what is shown of it.
import { render } from 'preact'
import { App } from './frame.js'
import { followKeys } from './keys.js'
import { followAddress } from './route.js'
import { follow } from './stream.js'
import { followTheme } from './theme.js'
import { hideTip } from './tip.js'
import { followWindow } from './viewport.js'

history.scrollRestoration = 'manual'
followTheme()
followAddress()
followWindow()
followKeys()
addEventListener('scroll', hideTip, { passive: true })
follow()

const root = document.getElementById('app')
if (root !== null) render(<App />, root)
