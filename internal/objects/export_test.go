package objects

import "time"

// SetPatience is how long a request without a payload may take.
func (s *Store) SetPatience(d time.Duration) { s.base = d }

// PartLength is how an object is cut.
var PartLength = partLength
