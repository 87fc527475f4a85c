package sockets

// OptionName returns the name of a socket option, such as "SO_REUSEADDR" for
// SOL_SOCKET and 2, or "" if the table of options has none.
func OptionName(level, name int) string {
	if o := options[optionKey{level, name}]; o != nil {
		return o.name
	}
	return ""
}
