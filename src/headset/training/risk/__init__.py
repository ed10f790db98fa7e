"""The risk model: will a conversation end unresolved or dissatisfied?"""
