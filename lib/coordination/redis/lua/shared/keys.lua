-- What the keys of the app begin with: its first key is always the fence.
local base = sub(KEYS[1], 1, -1 - #KEY_FENCE)
local openKey = base .. KEY_OPEN
