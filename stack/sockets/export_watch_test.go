package sockets

// Watched reports whether calls on s have somebody to tell.
func Watched(s *Socket) bool { return s.d.watcher() != nil }
