package restore

// SetBeforeCheck has f called with the address of a database that is loaded
// and is about to be checked before it takes another's place.
func (r *Restorer) SetBeforeCheck(f func(url string)) { r.beforeCheck = f }
