package engine

// DrillRequest asks for an exercise.
type DrillRequest struct {
	// Scenario is the content of its file.
	Scenario []byte `json:"scenario"`
	// From is the site to restore everything from; empty: the scenario's.
	From string `json:"from,omitempty"`
	// Participants are roles and, where given, names.
	Participants []string `json:"participants,omitempty"`
	// Technical asks for the technical part of a scenario of a table.
	Technical bool `json:"technical,omitempty"`
	// Identity is the text of the age identity file for cold starts, as in a
	// VerifyRequest.
	Identity string `json:"identity,omitempty"`
}

// DrillRecordRequest writes down what people say of an exercise.
type DrillRecordRequest struct {
	// Drill is the exercise, or a scenario: the newest exercise of that.
	Drill string `json:"drill"`
	// Scenario is the content of its file. It is needed when the exercise was
	// not begun with this program: then it is now.
	Scenario []byte `json:"scenario,omitempty"`
	// Answers is the content of a file of answers.
	Answers []byte `json:"answers"`
}

// DrillCloseRequest closes an action of an exercise.
type DrillCloseRequest struct {
	// Drill is the exercise, or a scenario: the newest exercise of that.
	Drill string `json:"drill"`
	// Action is the name of the action in it.
	Action string `json:"action"`
	// Sequence is of the record, in the evidence log, of the test that passed.
	Sequence uint64 `json:"sequence"`
}
