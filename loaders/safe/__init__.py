"""Reading that cannot hang, crash or fill the memory of the program that asks for it."""
