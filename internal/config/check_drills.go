package config

func (c *checker) checkDrills() {
	every := &c.cfg.Drills.ControlsEvery
	if *every == never {
		*every = 0
		return
	}
	if c.has("drills.controls_every") && !c.bad["drills.controls_every"] && *every == 0 {
		c.problem("drills.controls_every", "must be more than zero",
			"write a duration such as 7d; never switches the rounds off, and nobody notices then when proofs no longer find anything")
		return
	}
	c.positive("drills.controls_every", every, DefaultControlsEvery)
}
