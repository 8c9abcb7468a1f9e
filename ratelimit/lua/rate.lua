-- Part: a sender's rate, as even traffic (GCRA without a burst), and how fast
-- one customer may hear from one sender (GCRA with a burst). Of each, one number
-- is kept: when the next message would be due at an even pace.

-- Returns when to send, nil for not now, and what to keep. A number kept further
-- ahead than this rule could book comes from a slower rate or a clock set back,
-- and is cut.
local function book(kept, interval)
  local at = math.max(now, math.min(kept, now + HORIZON + interval))
  if at - now > HORIZON then
    return nil, at
  end
  return math.ceil(at), at + interval
end

-- Books a message to a customer who is to get it at a time. Returns nil, or
-- when the customer may get the next one; then nothing is booked. What is kept
-- expires once it means nothing.
local function pace(pair, at)
  if PAIR_SPACING <= 0 then
    return nil
  end
  local due = at + PAIR_SPACING
  if call('SET', pair, due, 'NX', 'PX', math.ceil((due - now) / 1000)) then
    return nil
  end
  local ahead = (PAIR_BURST - 1) * PAIR_SPACING
  local kept, most = tonumber(call('GET', pair) or '0'), now + HORIZON + ahead + PAIR_SPACING
  due = math.min(kept, most)
  local turn = due - ahead > at and due - ahead or nil
  if not turn then
    due = math.max(due, at) + PAIR_SPACING
  elseif due == kept then
    return turn
  end
  call('SET', pair, due, 'PX', math.ceil((due - now) / 1000))
  return turn
end
