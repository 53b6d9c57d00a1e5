"""Documents: one document model and its renderers.

Belongs here: blocks, the formatting of claims, the composition of each kind of document from a bundle and a draft,
and the renderers (Slack, terminal, Markdown, HTML; slides, PDF, workbook, pictures). Does not belong here: choosing
words (`ops_platform.writing`), sending (`ops_platform.delivery`), reading the warehouse (`ops_platform.evidence`).
"""
