package sockets

// QueuedIn returns how many registrations the next Poll of p looks at.
func QueuedIn(p *Poller) int { return p.queued() }
