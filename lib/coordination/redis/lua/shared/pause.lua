-- What is to be noted of a job's pause when its code says whether it is paused. A pause by code ends where the code has
-- it no more, and begins anew where it comes back. What an operator has said stays.
local function pauseByCode(noted, isPausedInitially, now)
  if isPausedInitially then
    if not noted or sub(noted, -1) == BY_CODE_MARK then return PAUSED_BY_CODE end
  elseif noted == PAUSED_BY_CODE then
    return RESUMED_MARK .. format('%.0f', now) .. BY_CODE_MARK
  end
  return noted
end
