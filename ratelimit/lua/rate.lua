-- Part: a sender's rate, as even traffic (GCRA without a burst). One number is
-- kept: when the next message may go.

-- Returns when to send and what to keep, or nil and when to ask again. A number
-- kept further ahead than this rule could book comes from a slower rate or a
-- clock set back, and is cut.
local function book(kept, interval)
  local at = math.max(now, math.min(kept, now + horizon + interval))
  if at - now > horizon then
    return nil, math.ceil(at - horizon)
  end
  return math.ceil(at), at + interval
end
