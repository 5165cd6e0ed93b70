"""One figure a function; none is drawn before it is asked for."""
